"""Where and how a process computes: its device, its seeds, the signals it hears, the team it belongs to."""
