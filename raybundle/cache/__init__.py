"""Answers that are kept between runs, and how a file is recognised."""
