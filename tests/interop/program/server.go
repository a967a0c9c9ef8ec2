package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/pubsub"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	machinery "github.com/RichardKnop/machinery/v2"
	amqpbackend "github.com/RichardKnop/machinery/v2/backends/amqp"
	dynamodbbackend "github.com/RichardKnop/machinery/v2/backends/dynamodb"
	backendiface "github.com/RichardKnop/machinery/v2/backends/iface"
	memcachebackend "github.com/RichardKnop/machinery/v2/backends/memcache"
	mongobackend "github.com/RichardKnop/machinery/v2/backends/mongo"
	nullbackend "github.com/RichardKnop/machinery/v2/backends/null"
	redisbackend "github.com/RichardKnop/machinery/v2/backends/redis"
	amqpbroker "github.com/RichardKnop/machinery/v2/brokers/amqp"
	pubsubbroker "github.com/RichardKnop/machinery/v2/brokers/gcppubsub"
	brokeriface "github.com/RichardKnop/machinery/v2/brokers/iface"
	redisbroker "github.com/RichardKnop/machinery/v2/brokers/redis"
	sqsbroker "github.com/RichardKnop/machinery/v2/brokers/sqs"
	"github.com/RichardKnop/machinery/v2/config"
	eagerlock "github.com/RichardKnop/machinery/v2/locks/eager"
	lockiface "github.com/RichardKnop/machinery/v2/locks/iface"
	redislock "github.com/RichardKnop/machinery/v2/locks/redis"
)

// options are the flags that all sub-commands share.
type options struct {
	broker, brokerURL, backend, backendURL, lockURL    string
	queue, exchange, exchangeType, bindingKey, delayed string
	project, subscription                              string
	database, statesTable, metasTable                  string
	expire, prefetch, poll, delayedPoll                int
	sqsWait, sqsVisibility                             int
	sqsHeartbeat, create, verbose                      bool
	masterName, sentinelPassword                       string
	cluster                                            bool
}

func (o *options) addTo(fs *flag.FlagSet) {
	fs.StringVar(&o.broker, "broker", "redis", "redis|goredis|amqp|sqs|gcppubsub")
	fs.StringVar(&o.brokerURL, "broker-url", "redis://127.0.0.1:6379/0",
		"redis://[user[:password]@]host:port/db, redis+socket:///path?db=N (redis only), amqp://..., or http://host:port/ACCOUNT (sqs); "+
			"goredis: also redis://host:port,host:port,..., a cluster, or sentinels with -master-name")
	fs.StringVar(&o.backend, "backend", "redis", "redis|goredis|amqp|memcache|mongo|dynamodb|null")
	fs.StringVar(&o.backendURL, "backend-url", "redis://127.0.0.1:6379/0",
		"as -broker-url, or memcache://host:port,host:port, mongodb://..., http://host:port (dynamodb)")
	fs.StringVar(&o.lockURL, "lock-url", "", "redis URL of the lock of periodic tasks (default: no lock)")
	fs.StringVar(&o.queue, "queue", "machinery_tasks", "default queue (topic for gcppubsub)")
	fs.StringVar(&o.exchange, "exchange", "machinery_exchange", "amqp exchange")
	fs.StringVar(&o.exchangeType, "exchange-type", "direct", "amqp exchange type")
	fs.StringVar(&o.bindingKey, "binding-key", "machinery_task", "amqp binding key")
	fs.StringVar(&o.delayed, "delayed-queue", "", "amqp: DelayedQueue; redis: DelayedTasksKey (default: the original's own)")
	fs.StringVar(&o.project, "project", "test", "gcppubsub project; PUBSUB_EMULATOR_HOST says where the emulator is")
	fs.StringVar(&o.subscription, "subscription", "machinery_sub", "gcppubsub subscription")
	fs.StringVar(&o.database, "database", "machinery", "mongo database")
	fs.StringVar(&o.statesTable, "states-table", "task_states", "dynamodb table of task states")
	fs.StringVar(&o.metasTable, "metas-table", "group_metas", "dynamodb table of group metas")
	fs.IntVar(&o.expire, "expire", 3600, "ResultsExpireIn, seconds")
	fs.IntVar(&o.prefetch, "prefetch", 3, "amqp prefetch count")
	fs.IntVar(&o.poll, "poll", 1000, "redis NormalTasksPollPeriod, ms")
	fs.IntVar(&o.delayedPoll, "delayed-poll", 500, "redis DelayedTasksPollPeriod, ms")
	fs.BoolVar(&o.cluster, "cluster", false, "goredis ClusterEnabled")
	fs.StringVar(&o.masterName, "master-name", "", "goredis MasterName: the hosts are sentinels")
	fs.StringVar(&o.sentinelPassword, "sentinel-password", "", "goredis SentinelPassword")
	fs.IntVar(&o.sqsWait, "sqs-wait", 1, "sqs WaitTimeSeconds")
	fs.IntVar(&o.sqsVisibility, "sqs-visibility", -1, "sqs VisibilityTimeout, seconds (-1: the queue's)")
	fs.BoolVar(&o.sqsHeartbeat, "sqs-heartbeat", false, "sqs VisibilityHeartBeat")
	fs.BoolVar(&o.create, "create", false, "create the sqs queue, dynamodb tables, topic and subscription that are missing")
	fs.BoolVar(&o.verbose, "v", false, "log each message")
}

// redisAddress is a redis URL taken apart, for the two drivers.
type redisAddress struct {
	host, user, password, socket string
	db                           int
}

func parseRedis(raw string) (a redisAddress, err error) {
	if hosts, found := strings.CutPrefix(raw, "redis://"); found && strings.Contains(hosts, ",") {
		return redisAddress{host: hosts}, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return a, err
	}
	if u.User != nil {
		a.user = u.User.Username()
		a.password, _ = u.User.Password()
	}
	db := strings.TrimPrefix(u.Path, "/")
	switch u.Scheme {
	case "redis":
		a.host = u.Host
	case "redis+socket":
		a.socket, db = u.Path, u.Query().Get("db")
	default:
		return a, fmt.Errorf("not a redis URL: %s", raw)
	}
	if db != "" {
		a.db, err = strconv.Atoi(db)
	}
	return a, err
}

// forGoRedis is the address in the form which the go-redis driver of the
// original takes: credentials in front of the host.
func (a redisAddress) forGoRedis() []string {
	switch {
	case strings.Contains(a.host, ","):
		return strings.Split(a.host, ",")
	case a.user != "":
		return []string{a.user + ":" + a.password + "@" + a.host}
	case a.password != "":
		return []string{a.password + "@" + a.host}
	}
	return []string{a.host}
}

// awsConfig has fixed dummy credentials: this program talks to fakes only.
func awsConfig() aws.Config {
	return aws.Config{
		Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
}

func endpoint(raw string) (*string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	return aws.String(u.Scheme + "://" + u.Host), nil
}

func (o *options) config() *config.Config {
	cnf := &config.Config{
		Broker:          o.brokerURL,
		DefaultQueue:    o.queue,
		ResultBackend:   o.backendURL,
		ResultsExpireIn: o.expire,
		Redis: &config.RedisConfig{
			MaxIdle: 3, IdleTimeout: 240, ReadTimeout: 15, WriteTimeout: 15, ConnectTimeout: 15,
			NormalTasksPollPeriod: o.poll, DelayedTasksPollPeriod: o.delayedPoll,
			MasterName: o.masterName, SentinelPassword: o.sentinelPassword, ClusterEnabled: o.cluster,
		},
		AMQP: &config.AMQPConfig{
			Exchange: o.exchange, ExchangeType: o.exchangeType, BindingKey: o.bindingKey, PrefetchCount: o.prefetch,
		},
		DynamoDB: &config.DynamoDBConfig{TaskStatesTable: o.statesTable, GroupMetasTable: o.metasTable},
		MongoDB:  &config.MongoDBConfig{Database: o.database},
	}
	if o.broker == "amqp" {
		cnf.AMQP.DelayedQueue = o.delayed
	} else {
		cnf.Redis.DelayedTasksKey = o.delayed
	}
	return cnf
}

func (o *options) newBroker(cnf *config.Config) (brokeriface.Broker, error) {
	switch o.broker {
	case "redis", "goredis":
		a, err := parseRedis(o.brokerURL)
		if err != nil {
			return nil, err
		}
		if o.broker == "redis" {
			return redisbroker.New(cnf, a.host, a.user, a.password, a.socket, a.db), nil
		}
		return redisbroker.NewGR(cnf, a.forGoRedis(), a.db), nil
	case "amqp":
		return amqpbroker.New(cnf), nil
	case "sqs":
		return o.newSQS(cnf)
	case "gcppubsub":
		return o.newPubSub(cnf)
	}
	return nil, fmt.Errorf("unknown broker %q", o.broker)
}

func (o *options) newSQS(cnf *config.Config) (brokeriface.Broker, error) {
	at, err := endpoint(o.brokerURL)
	if err != nil {
		return nil, err
	}
	client := sqs.NewFromConfig(awsConfig(), func(so *sqs.Options) { so.BaseEndpoint = at })
	cnf.SQS = &config.SQSConfig{Client: client, WaitTimeSeconds: o.sqsWait, VisibilityHeartBeat: o.sqsHeartbeat}
	if o.sqsVisibility >= 0 {
		cnf.SQS.VisibilityTimeout = &o.sqsVisibility
	}
	if o.create {
		in := &sqs.CreateQueueInput{QueueName: &o.queue}
		if strings.HasSuffix(o.queue, ".fifo") {
			in.Attributes = map[string]string{"FifoQueue": "true"}
		}
		if _, err := client.CreateQueue(context.Background(), in); err != nil {
			return nil, err
		}
	}
	return sqsbroker.New(cnf)
}

func (o *options) newPubSub(cnf *config.Config) (brokeriface.Broker, error) {
	ctx := context.Background()
	client, err := pubsub.NewClient(ctx, o.project)
	if err != nil {
		return nil, err
	}
	cnf.GCPPubSub = &config.GCPPubSubConfig{Client: client}
	if o.create {
		topic := client.Topic(o.queue)
		if ok, err := topic.Exists(ctx); err != nil {
			return nil, err
		} else if !ok {
			if topic, err = client.CreateTopic(ctx, o.queue); err != nil {
				return nil, err
			}
		}
		if ok, err := client.Subscription(o.subscription).Exists(ctx); err != nil {
			return nil, err
		} else if !ok {
			sc := pubsub.SubscriptionConfig{Topic: topic, AckDeadline: 10 * time.Second}
			if _, err = client.CreateSubscription(ctx, o.subscription, sc); err != nil {
				return nil, err
			}
		}
	}
	return pubsubbroker.New(cnf, o.project, o.subscription)
}

func (o *options) newBackend(cnf *config.Config) (backendiface.Backend, error) {
	switch o.backend {
	case "redis", "goredis":
		a, err := parseRedis(o.backendURL)
		if err != nil {
			return nil, err
		}
		if o.backend == "redis" {
			return redisbackend.New(cnf, a.host, a.user, a.password, a.socket, a.db), nil
		}
		return redisbackend.NewGR(cnf, a.forGoRedis(), a.db), nil
	case "amqp":
		return amqpbackend.New(cnf), nil
	case "memcache":
		return memcachebackend.New(cnf, strings.Split(strings.TrimPrefix(o.backendURL, "memcache://"), ",")), nil
	case "mongo":
		return mongobackend.New(cnf)
	case "dynamodb":
		return o.newDynamoDB(cnf)
	case "null":
		return nullbackend.New(), nil
	}
	return nil, fmt.Errorf("unknown backend %q", o.backend)
}

func (o *options) newDynamoDB(cnf *config.Config) (backendiface.Backend, error) {
	at, err := endpoint(o.backendURL)
	if err != nil {
		return nil, err
	}
	client := dynamodb.NewFromConfig(awsConfig(), func(do *dynamodb.Options) { do.BaseEndpoint = at })
	cnf.DynamoDB.Client = client
	if o.create {
		for table, key := range map[string]string{o.statesTable: "TaskUUID", o.metasTable: "GroupUUID"} {
			_, err := client.CreateTable(context.Background(), &dynamodb.CreateTableInput{
				TableName:            aws.String(table),
				BillingMode:          ddbtypes.BillingModePayPerRequest,
				AttributeDefinitions: []ddbtypes.AttributeDefinition{{AttributeName: aws.String(key), AttributeType: ddbtypes.ScalarAttributeTypeS}},
				KeySchema:            []ddbtypes.KeySchemaElement{{AttributeName: aws.String(key), KeyType: ddbtypes.KeyTypeHash}},
			})
			if err != nil && !strings.Contains(err.Error(), "ResourceInUseException") {
				return nil, err
			}
		}
	}
	return dynamodbbackend.New(cnf)
}

func (o *options) newLock(cnf *config.Config) (lockiface.Lock, error) {
	if o.lockURL == "" {
		return eagerlock.New(), nil
	}
	a, err := parseRedis(o.lockURL)
	if err != nil {
		return nil, err
	}
	return redislock.New(cnf, a.forGoRedis(), a.db, 3), nil
}

// server is the original's server, with every task of this program.
func (o *options) server() (*machinery.Server, error) {
	cnf := o.config()
	broker, err := o.newBroker(cnf)
	if err != nil {
		return nil, err
	}
	backend, err := o.newBackend(cnf)
	if err != nil {
		return nil, err
	}
	lock, err := o.newLock(cnf)
	if err != nil {
		return nil, err
	}
	s := machinery.NewServer(cnf, broker, backend, lock)
	return s, s.RegisterTasks(taskFuncs())
}
