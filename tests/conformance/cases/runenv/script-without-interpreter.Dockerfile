#: fails 6 exit code: 127
FROM busybox
COPY --chmod=755 <<EOF /script
#!/no/interpreter
EOF
RUN /script
