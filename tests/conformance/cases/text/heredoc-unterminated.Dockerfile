#: fails 3 unterminated heredoc: no line 'EOF' follows
FROM busybox
RUN <<EOF
echo x
