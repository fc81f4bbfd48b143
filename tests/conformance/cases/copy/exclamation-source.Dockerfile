#: differs outcome/buildkit: it does not find a name that begins with an exclamation mark
#: context patterns
FROM busybox
COPY !bang /x/
