FROM busybox
RUN --mount=target=/all,rw --mount=source=dir,target=/d --mount=src=dir/sub/deep,target=/deep --mount=src=private,target=/p \
  stat -c '%n %u %g %a' /all /all/dir /d /d/sub /deep /deep/* /d/void /p > /out
