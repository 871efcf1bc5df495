"""What watches a run: probes read, judges decide, the watcher puts them together. No Textual."""
