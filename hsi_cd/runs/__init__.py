"""A run as a folder: the names of its files, making it, where it comes from, lists of many."""
