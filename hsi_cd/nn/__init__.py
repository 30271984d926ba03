"""Pure modules and functions on tensors. No files, no configuration, no scenes."""
