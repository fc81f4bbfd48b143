#: differs outcome/buildkit: lade refuses a name that means a deletion in a layer, BuildKit writes it
#: fails 4 '/x/\.wh\.gone' cannot be in a layer: names with '\.wh\.' stand for
FROM busybox
ADD whiteout.tar /x/
