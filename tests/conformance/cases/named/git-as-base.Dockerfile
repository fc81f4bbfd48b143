#: named src={http}/repo.git
#: differs config.history.*: each has a text of its own for the layer that the directory becomes
#: differs layer/0/.: lade has the root directory itself in it
FROM src
COPY --from=busybox /bin/true /t
