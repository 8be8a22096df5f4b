"""Damage drawn over undamaged photographs, with its ground truth: what networks are trained and judged on.

`simulate.simulate` is the door, `settings.typical` draws the settings of one training example.
"""
