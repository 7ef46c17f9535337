// Command client keeps one AMQP connection to the broker, sends itself a message every few seconds and logs what
// happens in the words of spring-amqp. It takes Spring Boot's variables, so that it stands in for an application.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	pause   = 3 * time.Second // between messages, and before a new try
	patient = 8 * time.Second // for the connection and for a message's way round
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC | log.Lmsgprefix)
	log.SetOutput(os.Stdout)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		s, err := readSettings()
		if err == nil {
			err = serve(ctx, s)
		}
		if err != nil && ctx.Err() == nil {
			report(s, err)
		}
		wait(ctx)
	}
	log.Print("stopped")
}

func wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// report logs a failure under the heading that the Java client has for it.
func report(s settings, err error) {
	log.Printf("Consumer raised exception, processing can restart if the connection factory supports it: %v", err)
	if s.tls != nil {
		log.Printf("TLS connection failed: %v", err)
	} else {
		log.Printf("Failed to check/redeclare auto-delete queue(s): %v", err)
	}
}

// serve connects and exchanges messages until the connection or the program ends.
func serve(ctx context.Context, s settings) error {
	log.Printf("Attempting to connect to: [%s]", s.address())
	scheme := "amqp"
	if s.tls != nil {
		scheme = "amqps"
	}
	connection, err := amqp.DialConfig(scheme+"://"+s.address(), amqp.Config{
		SASL:            []amqp.Authentication{&amqp.PlainAuth{Username: s.user, Password: s.password}},
		Vhost:           s.virtualHost,
		Heartbeat:       10 * time.Second,
		TLSClientConfig: s.tls,
		Dial:            amqp.DefaultDial(patient),
		Properties:      amqp.Table{"connection_name": name(), "product": "client"},
	})
	if err != nil {
		return err
	}
	defer connection.Close()
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	queue, err := channel.QueueDeclare(name(), false, true, true, false, nil)
	if err != nil {
		return err
	}
	messages, err := channel.ConsumeWithContext(ctx, queue.Name, "", true, true, false, false, nil)
	if err != nil {
		return err
	}
	log.Printf("Created new connection: client#%s/%s [vhost %s, TLS %v]", s.address(), connection.LocalAddr(), s.virtualHost, s.tls != nil)
	for number := 1; ctx.Err() == nil; number++ {
		if err := exchange(ctx, channel, queue.Name, messages, number); err != nil {
			return err
		}
		wait(ctx)
	}
	return nil
}

// exchange sends one message to the queue and waits for it to come back.
func exchange(ctx context.Context, channel *amqp.Channel, queue string, messages <-chan amqp.Delivery, number int) error {
	body := fmt.Sprintf("message %d of %s", number, name())
	begun := time.Now()
	if err := channel.PublishWithContext(ctx, "", queue, false, false, amqp.Publishing{ContentType: "text/plain", Body: []byte(body)}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case message, open := <-messages:
		if !open {
			return errors.New("the connection was closed")
		}
		log.Printf("Received %q after %s", message.Body, time.Since(begun).Round(time.Millisecond))
		return nil
	case <-time.After(patient):
		return fmt.Errorf("no answer to message %d within %s", number, patient)
	}
}

func name() string {
	host, err := os.Hostname()
	if err != nil {
		return "client"
	}
	return "client." + host
}
