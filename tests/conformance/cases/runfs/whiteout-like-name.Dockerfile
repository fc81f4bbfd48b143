#: differs outcome/buildkit: lade refuses a name that means a deletion in a layer, BuildKit writes it
#: fails 4 '/\.wh\.file' cannot be in a layer: names with '\.wh\.' stand for
FROM busybox
RUN touch /.wh.file && ls -a /
