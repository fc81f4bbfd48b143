#: fails 4 process "ls" did not complete successfully: exec: "ls": executable file not found in \$PATH
FROM busybox
ENV PATH=
RUN ["ls"]
