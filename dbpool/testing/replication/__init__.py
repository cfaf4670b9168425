"""A primary with standbys, for the tests of what happens when one of them goes."""
