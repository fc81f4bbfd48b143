#: differs outcome/buildkit: it does not find the root of the context when parents are kept
#: context ignored
FROM busybox
COPY --parents . /x/
