"""The report as a page that is served while the run goes on."""
