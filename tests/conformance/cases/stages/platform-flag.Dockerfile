FROM --platform=linux/amd64 platforms
RUN cat /arch > /seen
