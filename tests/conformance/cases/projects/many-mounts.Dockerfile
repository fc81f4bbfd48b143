#: file scripts/build.sh #!/bin/sh\nset -e\ncat /run/secrets/npmrc | wc -c > $1\nls /src > $1.list\n
#: file src/a a\n
#: file src/b b\n
#: secret npmrc=//registry/:_authToken=x aws=[default]
FROM busybox AS tools
RUN mkdir /tools && printf '#!/bin/sh\necho tool "$@"\n' > /tools/tool && chmod +x /tools/tool
FROM busybox
RUN --mount=type=bind,source=scripts,target=/scripts \
    --mount=type=bind,source=src,target=/src,rw \
    --mount=type=bind,from=tools,source=/tools,target=/opt/tools \
    --mount=type=secret,id=npmrc,required=true \
    --mount=type=secret,id=aws,target=/root/.aws/credentials,mode=0444,uid=1000 \
    --mount=type=secret,id=npmrc,env=NPM_TOKEN \
    --mount=type=tmpfs,target=/scratch,size=1m \
    --network=none <<EOF
set -eu
sh /scripts/build.sh /built
touch /src/generated /scratch/x
/opt/tools/tool 1 2 > /tool
test -n "$NPM_TOKEN"
stat -c '%a %u' /root/.aws/credentials > /stat
EOF
