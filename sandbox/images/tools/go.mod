module sandbox.local/images

go 1.26.0

require (
	github.com/rabbitmq/amqp091-go v1.16.0
	software.sslmate.com/src/go-pkcs12 v0.7.4
)

require golang.org/x/crypto v0.11.0 // indirect
