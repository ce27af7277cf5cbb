from pipeline.steps.smooth import Smooth

WIDGETS = [Smooth]
