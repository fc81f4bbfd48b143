# escape=`
#: file app\\\\run.ps1 x\n
#: file run.ps1 y\n
FROM busybox
SHELL ["/bin/sh", "-c"]
ENV ProgramFiles="C:\Program Files" `
    Path2=C:\Windows;C:\tools
RUN echo "$ProgramFiles" > /out `
 && echo C:\dir\ >> /out
COPY run.ps1 C:\app\
COPY ["run.ps1", "C:\\app2\\"]
WORKDIR C:\work
LABEL path="C:\new" tab="\t" v=`$ProgramFiles
CMD C:\app\run.ps1 -Arg "a`b"
