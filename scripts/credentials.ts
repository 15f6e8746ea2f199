// npm run credentials: the same program that the api's image brings along.
import '@livegate/api/credentials/main';
