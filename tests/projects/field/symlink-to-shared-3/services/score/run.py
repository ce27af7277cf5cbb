import runpy

import app.main
