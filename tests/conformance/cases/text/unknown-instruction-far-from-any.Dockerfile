#: fails 3 unknown instruction: 'FOOBARBAZ'
FROM busybox
FOOBARBAZ echo x
