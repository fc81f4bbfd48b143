FROM onbuild
RUN cat /trigger > /seen; ls -l /app/hello.txt
#: file hello.txt hello\n
