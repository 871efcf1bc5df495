"""The command line. Results go to stdout, diagnostics to stderr; see tui.cli.exits for codes."""
