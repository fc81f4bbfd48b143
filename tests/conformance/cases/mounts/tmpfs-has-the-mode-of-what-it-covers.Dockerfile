FROM busybox
RUN mkdir -m 710 /plain && mkdir -m 2755 /group && mkdir -m 1777 /sticky && ln -s plain /link
RUN --mount=type=tmpfs,target=/plain --mount=type=tmpfs,target=/group --mount=type=tmpfs,target=/sticky \
    stat -c '%n %a' /plain /group /sticky > /modes
RUN --mount=type=tmpfs,target=/link --mount=type=tmpfs,target=/new/deep stat -c '%n %a' /plain /new/deep /new > /others
