"""The truth map of a MATLAB file of either kind."""

from hsi_cd.io.arrays import read_matrix as read_mat_matrix

__all__ = ["read_mat_matrix"]
