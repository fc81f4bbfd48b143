# escape=`
#: platform windows/amd64
FROM scratch AS base
WORKDIR C:\app
COPY a .
COPY a C:\other\
FROM base
WORKDIR sub\dir
ENV A=b
CMD dir
#: file a a\n
