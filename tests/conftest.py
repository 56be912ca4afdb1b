"""What holds for every test."""

import signal

# A job started in the background by a shell without job control inherits an ignored SIGINT, and hands it on to every
# process it starts: then the tests that interrupt a child would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
