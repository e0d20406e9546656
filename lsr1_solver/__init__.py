"""Fit an SMPL-format body to 2D keypoints.

Letters of shapes: B frames, J joints (24), K keypoints, V vertices, S shape components.
"""
