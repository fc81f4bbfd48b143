#: context formats
#: differs outcome/buildkit: it does not know this kind of entry
FROM busybox
ADD sparse-gnu.tar /gnu/
