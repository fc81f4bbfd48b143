#: remote git
#: args BUILDKIT_CONTEXT_KEEP_GIT_DIR=1
FROM busybox
COPY .git/HEAD /head
