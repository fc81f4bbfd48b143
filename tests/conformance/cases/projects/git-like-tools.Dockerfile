#: args HTTP={http}
FROM busybox AS src
ARG HTTP
ADD ${HTTP}/repo.git#v1.0 /src
ADD --keep-git-dir=false ${HTTP}/repo.git?branch=other&subdir=sub /other
ADD --checksum=sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 --chmod=755 ${HTTP}/hello.txt /bin/hello
ADD --unpack ${HTTP}/a.tar.gz /unpacked/
FROM busybox
COPY --from=src /src /other /unpacked /all/
COPY --from=src /bin/hello /bin/
