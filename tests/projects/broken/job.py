import gone.away

import absent

try:
    import optional_one
except ImportError:
    optional_one = None
