"""The command line: one short module a command, which imports what it needs when it runs."""
