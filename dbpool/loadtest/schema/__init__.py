"""The form of a run's document, published as JSON Schema."""
