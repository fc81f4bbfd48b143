#: fails 3 MAINTAINER isn't allowed as an ONBUILD trigger
FROM busybox
ONBUILD MAINTAINER me
