FROM busybox
ENV V val with  spaces
ENV A   $V "quoted" 'single' \$V
