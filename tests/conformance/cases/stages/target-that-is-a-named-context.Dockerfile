#: differs outcome/buildkit: it cannot export a context that is the target, lade can
#: target ctx
#: named ctx=copy
FROM busybox AS ctx
RUN exit 1
FROM busybox
