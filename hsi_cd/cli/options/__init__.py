"""What commands share: a file for each group of options, each handing the command one value."""
