"""Many runs: a matrix of methods, scenes and seeds, each in a process of its own. Knows no torch and no scenes."""
