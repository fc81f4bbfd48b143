FROM busybox
LABEL "quoted key"=v 'single key'="w" esc\ key=x
