"""What the Spaces (``spaces/<name>/app.py``) share: their page, which models they open, clips in, pictures out, examples.

Design decisions:

* An app's page is built when its file is imported, and that costs no torch, no transformers and no MediaPipe: models are opened at the
  first click, under one lock, because threads that race to import transformers for the first time are not served.
* What a stranger may do is decided in one place: :mod:`.models` says which models are opened (never their code), :mod:`.clips` how large
  and long a clip may be. A mistake ends in one sentence.
* Nothing that is said to a Space leaves it: no telemetry, no fonts or scripts from elsewhere.

This file imports no Gradio, so that ``signlang demo`` can list the Spaces without it.
"""
