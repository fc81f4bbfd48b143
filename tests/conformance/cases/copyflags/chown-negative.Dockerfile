#: differs outcome/buildkit: lade refuses what is no uid, BuildKit makes root of it
#: fails 4 '-1' is out of range: uids and gids are 0 to 4294967294
FROM busybox
COPY --chown=-1 a.txt /a
