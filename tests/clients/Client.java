import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.regex.Pattern;

/** Logs in, creates a task and lists tasks with the client's defaults, which ask for an upgrade to h2c. */
public class Client {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newHttpClient();
        var login = "{\"email\": \"" + args[1] + "\", \"password\": \"" + args[2] + "\"}";
        var answer = send(client, to(args[0] + "/auth/login").POST(HttpRequest.BodyPublishers.ofString(login)));
        var token = Pattern.compile("\"access_token\":\"([^\"]+)\"").matcher(answer);
        token.find();
        var bearer = "Bearer " + token.group(1);
        var task = HttpRequest.BodyPublishers.ofString("{\"title\": \"made by a client\"}");
        send(client, to(args[0] + "/tasks").header("Authorization", bearer).POST(task));
        System.out.println(send(client, to(args[0] + "/tasks").header("Authorization", bearer).GET()));
    }

    static HttpRequest.Builder to(String url) {
        return HttpRequest.newBuilder(URI.create(url)).header("Content-Type", "application/json");
    }

    static String send(HttpClient client, HttpRequest.Builder request) throws Exception {
        var response = client.send(request.build(), BodyHandlers.ofString());
        if (response.statusCode() >= 300) {
            throw new IllegalStateException(response.statusCode() + " " + response.body());
        }
        return response.body();
    }
}
