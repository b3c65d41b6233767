"""What training recipes share: arguments, callbacks, metrics, and where measured results go (:mod:`.results`)."""
