"""RabbitMQ: the bus and the topology. Owner of every AMQP detail."""

from saga.adapters.rabbitmq.bus import RabbitBus as RabbitBus
