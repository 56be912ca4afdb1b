"""What holds for every test."""

import signal

from hypothesis import HealthCheck, settings

# A job started in the background by a shell without job control inherits an ignored SIGINT, and hands it on to every
# process it starts: then the tests that interrupt a child would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure: examples may take as long as they need.
settings.register_profile("annbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("annbench")
