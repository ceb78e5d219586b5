"""Whether a request comes from staff: the master's web server asks before it shows Flower."""

from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class StaffCheck(APIView):
    """Answers 204 to staff, 401 to strangers and 403 to everybody else."""

    permission_classes = [IsAdminUser]
    schema = None

    def get(self, request: Request) -> Response:
        del request
        return Response(status=204)
