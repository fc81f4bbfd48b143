#: fails 2 dockerfile contains no stages to build
ARG A=1
