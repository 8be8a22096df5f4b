"""Simulated motion to learn from: cloth, branches, grass and shallow water, in metres and seconds.

Every simulator takes settings with units and a numpy generator, and gives a Recording: a drawn still, what of it moves,
and where its points go. Nothing here runs when a photograph is animated; see models/motion-spectra.
"""
